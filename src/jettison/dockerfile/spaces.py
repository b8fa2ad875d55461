"""The blanks of the language: exactly the characters that Go's ``unicode.IsSpace`` names, not Python's wider set.

``SPACES`` is for ``str.strip``, ``SPACES_CLASS`` stands inside a regular expression's brackets. ``BLANKS_CLASS`` are the
blanks that part words of whitespace-delimited instructions (FROM, COPY, EXPOSE) and the keyword from its arguments.
"""

from __future__ import annotations

SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
SPACES_CLASS = r"\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
BLANKS_CLASS = r"\t\v\f\r "
