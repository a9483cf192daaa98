module github.com/sallyport-id/sallyport/examples

go 1.26.0

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/sallyport-id/sallyport v0.0.0
	golang.org/x/oauth2 v0.38.0
)

require github.com/go-jose/go-jose/v4 v4.1.9 // indirect

// Nobody installs these programs: they are read, and run where they are. A program of
// your own has a require line alone.
replace github.com/sallyport-id/sallyport => ../
