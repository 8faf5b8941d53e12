// A package needs an assembly file to declare functions without a body.
