"""What a finished trial's network says of new images, here and in other software."""
