"""What a data set looked like, in numbers: the signed baseline that later versions are compared with."""
