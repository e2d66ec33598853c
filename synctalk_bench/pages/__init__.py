"""What our HTML pages share: one file that needs no other, its style, small charts as SVG, pictures inside the text."""
