"""A picture of a person's posts and tags."""
