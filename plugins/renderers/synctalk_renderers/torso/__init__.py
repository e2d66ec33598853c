"""The torso behind the head: the subject's own, or a 2-D field that follows the head's pose."""
