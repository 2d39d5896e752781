"""The engine: a keyed queue, a scheduler, and the steps observe, judge, decide, act, report."""
