"""Find out whether torchrun started this process beside others, without importing torch."""

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from eailab.engines.base import DeviceName


@contextmanager
def joined(device: DeviceName) -> Iterator[bool]:
    """Meet the other processes of a launch, if there are any, and part from them at the end.

    Yields:
        Whether this process is to do what the command says: always, but for the second and later processes of a
        launch, which have then done their part.

    Raises:
        DeviceError: The device is not here, or there are fewer GPUs than processes.
        TrialFailedError: Another process has ended.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() or os.environ["WORLD_SIZE"] == "1":
        yield True
        return
    import torch.distributed as dist

    from eailab.engines.torch_resnet.distributed import join
    from eailab.engines.torch_resnet.rank0_engine import Leave, follow, tell

    team = join(device)
    if team.rank == 0:
        yield True
        tell(Leave())  # after an error it is not said: the launcher sees this process fail, and ends the others
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all; the first process decides
        follow(device, team)
        yield False
    gc.collect()  # engines hold on to the group, whose threads must end while torch is still whole
    dist.destroy_process_group()
