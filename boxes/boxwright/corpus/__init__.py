"""Documents made into a box: a folder of texts becomes the tools `search` and `read` over an index of its own."""

from boxwright.corpus.documents import Corpus, Document, Skipped, read_folder
from boxwright.corpus.make import write_corpus_box

__all__ = ["Corpus", "Document", "Skipped", "read_folder", "write_corpus_box"]
