"""Violations, gathered by rule; the first few of each are shown."""

from collections import Counter

SHOWN = 5


class Report:
    def __init__(self):
        self.counts = Counter()
        self.shown = {}

    def add(self, rule, where, expected, found):
        """`where` names the operation and its key, or the place in the journal."""
        self.tell(rule, f"{where}: expected {expected}, found {found}")

    def tell(self, rule, text):
        self.counts[rule] += 1
        if self.counts[rule] <= SHOWN:
            self.shown.setdefault(rule, []).append(text)

    def __bool__(self):
        return bool(self.counts)

    def lines(self):
        for rule, count in self.counts.items():
            yield f"VIOLATION {rule} ({count})"
            for text in self.shown[rule]:
                yield f"  {text}"
            if count > len(self.shown[rule]):
                yield f"  and {count - len(self.shown[rule])} more"
