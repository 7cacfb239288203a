"""Code that is pasted into what an export writes, never imported: the part of each module below its marker."""
