"""`python -m pirig`."""

import sys

from pirig.cli import main

sys.exit(main())
