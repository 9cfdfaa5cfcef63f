// Nothing to call: this module acts when a program that has it is loaded.
