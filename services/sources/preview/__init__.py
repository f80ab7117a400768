"""A public channel's web preview (t.me/s/NAME): fetching a page, and what its HTML says."""
