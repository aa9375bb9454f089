"""Check torch's modules and functions: what autograd computes, hand-written backward passes included."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.errors import UsageError
from eailab.gradcheck.layers import SEED
from eailab.gradcheck.subject import Array, Gradients, Subject
from eailab.own_code.load import reseed


def is_module(thing: Any) -> bool:
    """Return whether a class is a module of torch."""
    from torch import nn

    return isinstance(thing, type) and issubclass(thing, nn.Module)


def lacks_forward(thing: Any) -> bool:
    """Return whether a module has no forward pass: of its class, or as its constructor chose one."""
    from torch import nn

    return type(thing).forward is nn.Module.forward and "forward" not in vars(thing)


def is_function(thing: Any) -> bool:
    """Return whether a class is a function of torch's autograd."""
    from torch import autograd

    return isinstance(thing, type) and issubclass(thing, autograd.Function)


class TorchSubject(Subject):
    """A module, or a function of autograd, which is given by its class."""

    def __init__(
        self, title: str, thing: Any, inputs: Mapping[str, Array], labels: tuple[str, NDArray[Any]] | None
    ) -> None:
        from torch import nn

        super().__init__(title, inputs, labels)
        self._is_module = isinstance(thing, nn.Module)
        self._thing = thing.double() if self._is_module else thing.apply
        self._state: dict[str, Any] = {}
        self._run(inputs)  # modules that make their parameters when called
        if self._is_module:
            self._thing.double()
            self._state = {name: one.detach().clone() for name, one in self._thing.state_dict().items()}
        self._parameters = {name: one for name, one in self._named() if one.requires_grad}
        self.values = {**inputs, **{name: one.detach().numpy().copy() for name, one in self._parameters.items()}}

    def _named(self) -> Any:
        return self._thing.named_parameters() if self._is_module else ()

    def _run(self, values: Mapping[str, Array], *, needs_grad: bool = False) -> tuple[Any, dict[str, Any]]:
        """Run the forward pass and return the output and the inputs."""
        import torch

        reseed(SEED)
        if self._state:
            self._thing.load_state_dict(self._state)
            with torch.no_grad():
                for name, one in self._parameters.items():
                    one.copy_(torch.from_numpy(values[name]))
        given = {
            name: torch.tensor(values[name], dtype=torch.float64, requires_grad=needs_grad) for name in self.inputs
        }
        labels = () if self.labels is None else (torch.as_tensor(self.labels),)
        with torch.set_grad_enabled(needs_grad):
            # A copy lets forward change its input in place, which autograd refuses for a leaf.
            copies = [one.clone() for one in given.values()] if needs_grad else list(given.values())
            output = self._thing(*copies, *labels)
        if not isinstance(output, torch.Tensor):
            raise UsageError(f"forward returned {type(output).__name__}: a tensor is wanted.")
        return output, given

    def forward(self, values: Mapping[str, Array]) -> NDArray[Any]:
        """Return the output for other values."""
        output, given = self._run(values)
        self._say_in_place(values, {name: one.numpy() for name, one in given.items()})
        return output.detach().numpy().copy()  # type: ignore[no-any-return]  # torch's stubs give Any

    def backward(self, values: Mapping[str, Array], dy: Array) -> Gradients:
        """Return what autograd gives; what forward does not lead to has a gradient of 0."""
        import torch

        output, given = self._run(values, needs_grad=True)
        wanted = {**given, **self._parameters}
        if not output.requires_grad:
            found: Any = [None] * len(wanted)
        else:
            weighted = (output * torch.from_numpy(dy).to(output.dtype)).sum()
            found = torch.autograd.grad(weighted, list(wanted.values()), allow_unused=True)
        arrays = {
            name: np.zeros(one.shape) if gradient is None else gradient.detach().numpy().copy()
            for (name, one), gradient in zip(wanted.items(), found, strict=True)
        }
        return Gradients(arrays, dict.fromkeys(arrays, "autograd"))
