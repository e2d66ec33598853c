"""A user study: clips of finished runs on a blinded page, and what its participants' answers come to."""
