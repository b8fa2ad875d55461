"""The files that COPY and ADD may see: local directories behind their ignore file."""
