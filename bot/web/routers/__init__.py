"""The paths that are served, a file a topic. Each file has an APIRouter; `bot.web.app` includes them all."""
