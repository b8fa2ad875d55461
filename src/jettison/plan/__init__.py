"""What to do, as content-addressed data: ops, the plan made of them, and the keys of their results. Pure."""
