"""A pretended GPU: CPU tensors that say they are on cuda:0, and refuse to meet tensors that are not.

Real values flow, so that whole runs can be checked, without a GPU, for tensors that were left on the wrong device. It
knows nothing of what CUDA computes otherwise.
"""

from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
MAY_MEET = {"aten::copy_", "aten::index"}  # a copy, and indices on the CPU
ONE_DEVICE = {"aten::cat", "aten::stack"}  # not even a scalar of the CPU may meet a GPU tensor here


class PretendGPU:
    """Within it `.to("cuda")`, `device="cuda"` and `.cuda()` work; `seen` holds the names of operations on that GPU.

    Raises:
        RuntimeError: where an operation is given tensors of both devices.
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.not_waited_for = 0  # copies to or from the GPU that are asked not to block
        self.pinned = 0
        self._on_gpu: dict[int, torch.UntypedStorage] = {}  # held, so that no address is used again
        self._stack = ExitStack()

    def __enter__(self) -> "PretendGPU":
        for name in ("autocast", "is_autocast_enabled", "get_autocast_dtype"):  # that of the CPU, where it computes
            self._stack.enter_context(patch.object(torch, name, partial(_on_cpu, getattr(torch, name))))
        functions, engine = _Functions(self), torch.autograd._engine_run_backward

        def run_backward(*args: Any, **kwargs: Any) -> Any:
            with functions:  # else it would be off in the backward passes
                return engine(*args, **kwargs)

        self._stack.enter_context(patch.object(torch.autograd, "_engine_run_backward", run_backward))
        self._stack.enter_context(functions)
        self._stack.enter_context(_Operations(self))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def holds(self, tensor: torch.Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._on_gpu

    def put(self, tensor: torch.Tensor, there: bool) -> None:
        storage = tensor.untyped_storage()
        self._on_gpu.pop(storage._cdata, None)
        if there:
            self._on_gpu[storage._cdata] = storage


def _on_cpu(function: Any, device_type: str, *args: Any, **kwargs: Any) -> Any:
    assert device_type in ("cpu", "cuda")
    return function("cpu", *args, **kwargs)


class _Functions(TorchFunctionMode):
    """Takes devices out of arguments, and says that held tensors are on the GPU."""

    def __init__(self, gpu: PretendGPU) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        gpu, kwargs = self._gpu, dict(kwargs or {})
        if function == torch.Tensor.device.__get__:
            return GPU if gpu.holds(args[0]) else CPU
        if function == torch.Tensor.is_cuda.__get__:
            return gpu.holds(args[0])
        if function in (torch.Tensor.cuda, torch.Tensor.cpu):
            return self._moved(args[0], GPU if function is torch.Tensor.cuda else CPU)
        if function is torch.Tensor.numpy and gpu.holds(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        if function is torch.Tensor.pin_memory:
            self._gpu.pinned += 1
            return args[0].clone()
        if function is torch.Tensor.to:
            return self._to(*args, **kwargs)
        device = kwargs.pop("device", None)
        result = function(*args, **kwargs)
        if device is None:  # what PyTorch makes of GPU tensors alone is on the GPU
            given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            there = bool(given) and all(gpu.holds(t) for t in given)
        else:
            there = torch.device(device).type == "cuda"
        if there or device is not None:
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    gpu.put(leaf, there)
        return result

    def _to(self, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        device = kwargs.pop("device", None)
        self._gpu.not_waited_for += kwargs.pop("non_blocking", False)
        others = []
        for arg in args:
            if isinstance(arg, torch.Tensor):
                device = GPU if self._gpu.holds(arg) else CPU
                others.append(arg.dtype)
            elif isinstance(arg, str | torch.device):
                device = torch.device(arg)
            elif isinstance(arg, torch.dtype):
                others.append(arg)
        if device is not None:
            tensor = self._moved(tensor, torch.device(device))
        return torch.Tensor.to(tensor, *others, **kwargs) if others or kwargs else tensor

    def _moved(self, tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        there = device.type == "cuda"
        if self._gpu.holds(tensor) == there:
            return tensor
        moved = tensor.clone()
        self._gpu.put(moved, there)
        return moved


class _Operations(TorchDispatchMode):
    """Follows the GPU's tensors through every operation, backward passes included."""

    def __init__(self, gpu: PretendGPU) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, torch.Tensor)]
        there = [t for t in given if self._gpu.holds(t)]
        name = function._schema.name
        if there:
            self._gpu.seen.add(name)
            strangers = [t for t in given if not self._gpu.holds(t) and (t.dim() > 0 or name in ONE_DEVICE)]
            if strangers and name not in MAY_MEET:
                shapes = [tuple(t.shape) for t in strangers]
                raise RuntimeError(f"{name}: tensors on the GPU meet tensors on the CPU, shaped {shapes}")
        result = function(*args, **(kwargs or {}))
        storages = {t.untyped_storage()._cdata for t in given}
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage()._cdata not in storages:
                self._gpu.put(leaf, bool(there))
        return result
