"""Reports as one HTML file each: `page` is the skeleton that all of them share."""
