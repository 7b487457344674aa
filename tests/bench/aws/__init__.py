"""A local group of AWS accounts that refuses what AWS refuses.

Built on moto, which keeps the things of the accounts and speaks the wire protocols; see README.md.
"""

import os

# moto reads this when it is imported: machine images take seconds to load, and nobody here wants any.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
