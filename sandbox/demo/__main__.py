"""`python -m sandbox.demo`."""

import asyncio
import sys

from sandbox.demo.process import Folder
from sandbox.demo.show import main

if __name__ == "__main__":
    sys.exit(asyncio.run(main(Folder.at("data/demo"))))
