"""Text to phrases, predicates, relations and the referred object."""
