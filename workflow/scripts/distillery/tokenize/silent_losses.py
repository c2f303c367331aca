"""What the reference keeps without a word although something is lost or changed: noted here, rejected under --strict."""

from __future__ import annotations

from collections.abc import Sequence

from distillery.tokenize import tools
from distillery.tokenize.conversation import ASSISTANT, FUNCTION, USER, Conversation
from distillery.tokenize.templates import Template

EMPTY_ANSWER = "an empty answer"
EMPTY_QUESTION = "an empty question"
BLANK_QUESTION = "a question of white space alone"
PLACEHOLDER = "{{idx}} in a question became the number of the turn"
LOST_TOOLS = "tools that could not be rendered were left out"
LOST_CALL = "a function call that could not be read became an empty one"
NO_TOOLS = ("", "[]", "{}", "null")


def of(conversation: Conversation, template: Template) -> tuple[str, ...]:
    """The notes on a conversation as this prompt type will render it.

    Raises:
        Rejected: tools or calls that cannot be rendered at all.
    """
    notes = list(conversation.notes)
    messages = conversation.messages
    if any(message.role == ASSISTANT and not message.content for message in messages):
        notes.append(EMPTY_ANSWER)
    questions = [content for role, content in messages if role == USER]
    notes += [note for note, holds in question_notes(questions).items() if holds]
    # Llama 2's slots are not numbered, and where a slot has its own {{idx}} that one takes the number
    open_to_it = not template.system_in_user and not any("{{idx}}" in str(slot) for slot in template.user)
    if open_to_it and any("{{idx}}" in text for role, text in messages if role == USER):
        notes.append(PLACEHOLDER)
    wanted = conversation.tools
    if wanted and str(wanted).strip() not in NO_TOOLS and not tools.describe(wanted, template.tool_style):
        notes.append(LOST_TOOLS)
    if template.function_style == "action" and any(
        message.role == FUNCTION and tools.call(("{{name}}{{arguments}}",), message.content, "action") == [""]
        for message in messages
    ):
        notes.append(LOST_CALL)
    return tuple(notes)


def question_notes(questions: Sequence[str]) -> dict[str, bool]:
    """Which notes hold of these questions, whether they are to be learnt from or to be asked."""
    return {
        EMPTY_QUESTION: not all(questions),
        BLANK_QUESTION: any(text.isspace() for text in questions),
    }
