"""Which of the ways to render prompts a command's flags choose: a prompt type, or the tokenizer's own chat template."""

from __future__ import annotations

import argparse
from pathlib import Path

from distillery.generate import prompter, weight_kinds
from distillery.generate.prompter import Prompter
from distillery.generate.weight_kinds import Weights
from distillery.problems import UsageProblem
from distillery.tokenize import hub_template
from distillery.tokenize import tokenizer as tokenizers


def of(args: argparse.Namespace, found: Weights, tokenizer: Path) -> Prompter:
    """What renders prompts as --prompt-type or --hf-chat-template say, or as the weights know.

    Raises:
        UsageProblem, Problem: both are said, or what the weights were not tuned with.
    """
    if args.hf_chat_template:
        if args.prompt_type:
            raise UsageProblem(
                "two ways to render prompts",
                where="--prompt-type, --hf-chat-template",
                fix="give one of them",
            )
        kind = hub_template.NAME
    else:
        kind = weight_kinds.prompt_type(found, args.prompt_type)
    if kind == hub_template.NAME:
        return prompter.by_chat_template(tokenizers.load(tokenizer), found.template)
    return prompter.by_prompt_type(tokenizer, kind, found.template)
