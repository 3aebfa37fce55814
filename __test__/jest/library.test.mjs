import * as olmo2 from 'olmo2'
import * as hub from 'olmo2/hub'
import * as train from 'olmo2/train'

import cases from './cases.cjs'

cases({ test, expect, beforeAll, afterAll }, olmo2, hub, train)
