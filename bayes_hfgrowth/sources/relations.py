"""How a model can descend from a base model, in the Hub's words."""

from typing import Literal, get_args

type Relation = Literal["finetune", "adapter", "merge", "quantized", "all"]
RELATIONS: tuple[Relation, ...] = get_args(Relation.__value__)
KINDS: tuple[Relation, ...] = RELATIONS[:-1]
"""The relations proper, without ``all``."""
