"""Events, errors and reports as text: plain lines, a live display, one JSON object a line. Writes to a stream it is given."""
