"""Which stages a Dockerfile has, what each of them needs, and in what order they come. Pure."""
