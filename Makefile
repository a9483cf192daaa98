# ./test does the work; this is for those who type make.
.PHONY: all build test short dev clean

all: build

build:
	CGO_ENABLED=0 go build -trimpath -o sallyport ./cmd/sallyport

test:
	./test

# The tests that need nothing but Go.
short:
	go test ./...

dev:
	go run ./cmd/sallyport dev

clean:
	rm -rf sallyport .venv
