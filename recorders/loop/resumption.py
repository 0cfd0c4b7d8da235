"""Takes a recorded loop up again, where a checkpoint of it ends."""

from __future__ import annotations

from recorders.contract import InputError
from recorders.store.layout import Layout
from recorders.store.writer import RecordingWriter


def rewind(
    writer: RecordingWriter, layout: Layout, *, what: str, steps_done: int, offset: int, interval: int, digest: str
) -> tuple[int, int]:
    """Forget what a recording holds of the steps after a checkpoint."""
    if writer.status(0).finished:
        raise InputError(f"{what} is complete: nothing to resume")
    if not writer.fits(layout):
        raise InputError(
            f"{what} was recorded with another model, interval, sample_every, indicators or total_steps: "
            "resume with the same ones, or pass exist='overwrite'"
        )
    records, rest = divmod(steps_done - offset, interval)
    written = int(writer.records_written()[0])
    if rest or not 0 <= records <= written:
        raise InputError(
            f"{what} cannot go on from step {steps_done}: it can from every {interval}th step from {offset} "
            f"to {offset + written * interval}; load a checkpoint of such a step (call flush() before saving), "
            "or pass exist='overwrite'"
        )
    if steps_done and digest == writer.initial_weights(0):
        raise InputError(
            f"{what} cannot go on from step {steps_done}: the model has the weights that the run began with; load the "
            "checkpoint before making the Recorder"
        )
    return records, writer.rewind(0, records, after=steps_done or -1)  # -1: a loop that starts over prunes again
