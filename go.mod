module github.com/covefn/cove

go 1.26.8
