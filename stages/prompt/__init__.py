"""Maps and phrases to point prompts: regions of high response, bound by the sentence's grammar."""
