"""Where posts come from: each source in a file of its own, all of them as `base.Source` says."""
