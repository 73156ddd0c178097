"""Where the files of a source are kept: folders of this machine, and object stores."""
