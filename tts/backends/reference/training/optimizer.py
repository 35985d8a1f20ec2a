"""Muon for the hidden matrices and Adam for the rest; or Adam for all."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tts.backends.reference.training.model import MATRICES, Parameters, Shape

__all__ = ["State", "fresh", "update"]

_MUON_RATE = 0.02
_ADAM_RATE = 4e-3
_ADAM_MATRIX_RATE = 2e-3
_MOMENTUM = 0.95
_SQUARES = 0.98
_DECAY = 0.05
_CLIP = 2.0
# Coefficients of a quintic that drives singular values towards 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)


@dataclass(slots=True)
class State:
    """Running means of gradients and, for Adam, of their squares; and how often they were fed."""

    means: Parameters
    squares: Parameters
    count: int = 0
    muon: bool = field(default=True)
    """Whether matrices are Muon's."""


def fresh(parameters: Parameters, muon: bool = True) -> State:
    """Return the state before the first step."""
    means = {name: torch.zeros_like(value) for name, value in parameters.items()}
    adam = [name for name in parameters if not (muon and name in MATRICES)]
    return State(means, {name: torch.zeros_like(means[name]) for name in adam}, muon=muon)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not there where types are checked
def update(parameters: Parameters, state: State, rate: float, shape: Shape) -> None:
    """Take one step in place, by the parameters' gradients, which are clipped.

    Args:
        parameters: Of the model.
        state: Of the optimizer.
        rate: Share of the full learning rates.
        shape: Of the model.
    """
    gradients = {name: value.grad for name, value in parameters.items() if value.grad is not None}
    torch.nn.utils.clip_grad_norm_(list(parameters.values()), _CLIP)
    state.count += 1
    for name, each in gradients.items():
        state.means[name].lerp_(each, 1 - _MOMENTUM)
    if state.muon:
        ahead = {name: state.means[name].lerp(gradients[name], 1 - _MOMENTUM) for name in MATRICES}
        for name, step in _orthogonal(ahead, shape).items():
            parameters[name].mul_(1 - rate * _MUON_RATE * _DECAY).sub_(rate * _MUON_RATE * step)
    for name, square in state.squares.items():
        square.lerp_(gradients[name].square(), 1 - _SQUARES)
        root = (square / (1 - _SQUARES**state.count)).sqrt_().add_(1e-8)
        full = _ADAM_RATE
        if name in MATRICES:
            full = _ADAM_MATRIX_RATE
            parameters[name].mul_(1 - rate * full * _DECAY)
        parameters[name].sub_(rate * full * state.means[name] / (1 - _MOMENTUM**state.count) / root)


def _orthogonal(ahead: Parameters, shape: Shape) -> Parameters:
    """Orthogonalize each matrix; equal shapes go together, to be one product."""
    width, hidden = shape.width, shape.hidden
    parts = [*ahead["qkv"].chunk(3, 2), ahead["out"]]
    query, key, value, out = _newton_schulz(torch.cat(parts)).chunk(4)
    parts = [*ahead["gate_up"].chunk(2, 2), ahead["down"].transpose(1, 2)]
    gate, up, down = _newton_schulz(torch.cat(parts)).chunk(3)
    return {
        "qkv": torch.cat([query, key, value], 2),
        "out": out,
        "gate_up": torch.cat([gate, up], 2) * (hidden / width) ** 0.5,
        "down": down.transpose(1, 2),
    }


def _newton_schulz(stack: Tensor, rounds: int = 5) -> Tensor:
    first, third, fifth = _QUINTIC
    value = (stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(rounds):
        square = value @ value.transpose(1, 2)
        value = first * value + (third * square + fifth * square @ square) @ value
    return value.float()
