"""The Dockerfile language: text to a frozen AST with spans and back, word expansion, ignore files. Pure."""
