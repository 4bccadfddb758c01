//! Native stand-ins for helper programs that Debian's maintainer scripts call by the hundred.
