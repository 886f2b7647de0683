"""Sentences under the pullback metric: substitutions of words, walks read as texts, attributions of tokens."""
