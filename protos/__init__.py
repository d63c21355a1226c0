"""The gRPC and transfer definitions, and the code generated from them."""
