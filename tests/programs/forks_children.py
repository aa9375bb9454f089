"""Starts children that outlive it, writes their process numbers to a file, and fails."""

import subprocess
import sys
from pathlib import Path

children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)]
Path(sys.argv[1]).write_text(" ".join(str(child.pid) for child in children))
sys.exit("CUDA error: an illegal memory access was encountered")
