"""The settings with which `strategies` compares, by name; a context of 1,024 tokens bounds them."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["SETTINGS"]

SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "vote_confidence": {
        "use": "self_consistency", "samples": 16, "stop": "never", "vote": "confidence",
    },
    "vote_borda_confidence": {
        "use": "self_consistency", "samples": 16, "stop": "never",
        "vote": {"use": "borda", "by": "confidence", "power": 2.0},
    },
    "vote_confidence_sharp": {
        "use": "self_consistency", "samples": 16, "stop": "never",
        "vote": {"use": "confidence", "sharpness": 200.0},
    },
    "vote_borda_confidence_sharp": {
        "use": "self_consistency", "samples": 16, "stop": "never",
        "vote": {"use": "borda", "by": "confidence", "power": 8.0},
    },
    "vote_deepconf": {
        "use": "self_consistency", "samples": 16, "stop": "never",
        "vote": {"use": "deepconf", "window": 16},
    },
    "vote_borda_deepconf": {
        "use": "self_consistency", "samples": 16, "stop": "never",
        "vote": {"use": "borda", "by": {"use": "deepconf", "window": 16}, "power": 2.0},
    },
    "vote_borda_self_certainty": {
        "use": "self_consistency", "samples": 16, "stop": "never",
        "vote": {"use": "borda", "by": {"use": "self_certainty", "vocabulary": 1148}},
    },
    "vote_verified": {
        "use": "self_consistency", "samples": 16, "stop": "never",
        "vote": {"use": "verified", "verifier": "yes_no"},
    },
    "best_of_n_logprob": {"use": "best_of_n", "samples": 16, "verifier": "logprob"},
    "best_of_n_yes_no": {"use": "best_of_n", "samples": 16, "verifier": "yes_no"},
    "universal_self_consistency": {
        "use": "universal_self_consistency", "samples": 4, "bound": 180,
    },
    "genselect": {"use": "genselect", "samples": 16, "window": 4, "bound": 180},
    "parallel_thinking": {"use": "parallel_thinking", "paths": 4, "bound": 180},
    "parallel_thinking_digest": {
        "use": "parallel_thinking", "paths": 4, "bound": 64, "compaction": "digest",
    },
    "parallel_thinking_confidence": {
        "use": "parallel_thinking", "paths": 16, "agreement": 0.51, "bound": 45,
        "vote": {"use": "confidence", "sharpness": 200.0},
    },
    "outline": {"use": "outline", "outlines": 4, "unguided": 1},
    "outline_confidence": {
        "use": "outline", "outlines": 8, "unguided": 2,
        "vote": {"use": "confidence", "sharpness": 200.0},
    },
    "pdr_top_k": {
        "use": "pdr", "rounds": [8, 4, 1], "bound": 180,
        "workspace": {"use": "top_k", "k": 2, "verifier": "logprob"},
    },
    "pdr_select": {
        "use": "pdr", "rounds": [8, 4, 1], "bound": 180, "workspace": {"use": "top_k", "k": 2},
    },
    "pdr_random_k": {
        "use": "pdr", "rounds": [8, 4, 1], "bound": 180, "workspace": {"use": "random_k", "k": 2},
    },
    "pdr_summary": {
        "use": "pdr", "rounds": [4, 4, 1], "bound": 150, "workspace": "global_summary",
    },
    "pdr_none": {"use": "pdr", "rounds": [4, 1], "bound": 180, "workspace": "none"},
    "sequential_refine": {"use": "sequential_refine", "rounds": 3, "bound": 180},
    "rsa": {"use": "rsa", "population": 8, "subset": 2, "loops": 3, "bound": 180},
    "selective_allocation": {"use": "selective_allocation", "tau": 0.5, "candidates": 4},
    "topology": {"use": "topology"},
    "topology_single": {
        "use": "topology", "max_rounds": 1,
        "worker": {"use": "self_consistency", "samples": 1, "stop": "never"},
    },
}  # fmt: skip
