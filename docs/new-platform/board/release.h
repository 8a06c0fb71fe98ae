/* Main lets the second core go. */
#ifndef RELEASE_H
#define RELEASE_H

void remote_release(void);

#endif
