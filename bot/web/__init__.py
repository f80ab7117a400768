"""The HTTP server. Handlers translate HTTP into calls of `services` and back; what they call decides."""
