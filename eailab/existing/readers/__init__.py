"""Read what trackers and training libraries write, a module for each kind of file or folder."""
