"""Commands and buttons about tags and the rules for them."""
