"""Doing one op: COPY, WORKDIR and RUN, from the op's data and the trees below it to a new layer."""
