"""What suites of Python share: their list of cases, and waiting for what others bring about."""
import time


class Cases(dict):
    """Functions by the name of their case, in the order in which they stand."""

    def case(self, function):
        self[function.__name__.replace("_", "-")] = function
        return function


def until(look, what="that"):
    """Asks again and again until there is something; the bound is for what hangs."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError(f"it did not come to {what}")
