"""What a tag is and when two texts may share tags. How a model is asked for tags is in `services.llm`."""
