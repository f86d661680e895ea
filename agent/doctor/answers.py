"""What a model answers about the footage, beside what is true."""

from agent.doctor.finding import Finding, Verdict
from agent.doctor.footage import Footage
from agent.vlm.generation import Reader, decode, decode_room, text_of
from agent.vlm.model import VisionLanguageModel
from memory.rehydration import compose

NAME = "answers"
_MOST_TOKENS = 32


def show_answers(model: VisionLanguageModel, footage: Footage) -> Finding:
    """Ask about the footage, uncompressed.

    Shown, not judged: a model may be right in words that the simulation does not know,
    and wrong about a picture that it was not made for.
    """
    runs = [model.prefill_sink()]
    for chunk in footage.chunks:
        runs.append(model.prefill(chunk, [runs[0], *runs[1:][-1:]]).kv)
    asked = []
    for question in footage.questions:
        text = question.text
        room = decode_room(model, text, _MOST_TOKENS)
        cache = compose(runs, model.rotary, room=room)
        said = text_of(model, list(decode(model, Reader(cache, text, _MOST_TOKENS))))
        asked.append(
            {
                "question": text,
                "truth": question.answer,
                "answer": said,
                "is_right": question.is_right(said),
            }
        )
    lines = [
        f"{each['question']} {each['answer'] or '(no words)'}"
        + (" (right)" if each["is_right"] else f" (truth: {each['truth']})")
        for each in asked
    ]
    return Finding(NAME, Verdict.NONE, "\n".join(lines), {"asked": asked})
